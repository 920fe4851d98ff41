-- A scheduled campaign whose time has come runs; one that is too late for it is paused.
-- KEYS: c. ARGV: the time as read, reason and by of the pause. Returns the state from now on, '' when it was left.
local c = KEYS[1]
local now, v = now_ms(), call('HMGET', c, 'state', 'at', 'lateness')
if v[1] ~= 'scheduled' or v[2] ~= ARGV[1] or tonumber(v[2]) > now then return '' end
if now - tonumber(v[2]) > tonumber(v[3]) then
  call('HSET', c, 'state', 'paused', 'paused_reason', ARGV[2], 'paused_by', ARGV[3])
  return 'paused'
end
call('HSET', c, 'state', 'running')
settle(c, now)
return 'running'
