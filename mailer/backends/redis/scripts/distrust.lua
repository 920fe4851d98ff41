-- This ledger may be a copy, or lack what was sent since: a campaign that is not over rests until an operator confirms.
-- KEYS: c. ARGV: why. Returns 1 when this call has stopped it.
local c = KEYS[1]
local state = call('HGET', c, 'state')
if state == 'draft' or state == 'running' or state == 'scheduled' or state == 'paused' then
  call('HSET', c, 'distrusted', ARGV[1])
end
if state ~= 'running' and state ~= 'scheduled' then return 0 end
call('HSET', c, 'state', 'paused', 'paused_reason', ARGV[1])
call('HDEL', c, 'paused_by')
return 1
