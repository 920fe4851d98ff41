-- The source was read to the end: the draft runs. KEYS: c. ARGV: base, run, invalid, duplicate, complete (1 or 0)
-- Returns 1 when this call sealed it, 0 when it had been sealed before.
local c, base = KEYS[1], ARGV[1]
local state = call('HGET', c, 'state')
if not state or state == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if state ~= 'draft' then return 0 end
call('HSET', c, 'state', 'running', 'invalid', ARGV[3], 'duplicate', ARGV[4], 'source_complete', ARGV[5])
if call('EXISTS', base .. 'l:' .. ARGV[2]) == 1 then
  call('RENAME', base .. 'l:' .. ARGV[2], base .. 'l')
  call('PERSIST', base .. 'l')
end
settle(c, now_ms())
return 1
