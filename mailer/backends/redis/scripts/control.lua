-- Move a campaign from one state to another, or leave it. KEYS: c. ARGV: from, to, reason, by
local c = KEYS[1]
if call('HGET', c, 'state') ~= ARGV[1] then return 0 end
call('HSET', c, 'state', ARGV[2])
if ARGV[2] == 'paused' then
  call('HSET', c, 'paused_reason', ARGV[3], 'paused_by', ARGV[4])
else
  call('HDEL', c, 'paused_reason', 'paused_by')
end
settle(c, now_ms())
return 1
