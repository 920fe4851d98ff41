-- Create a campaign's record unless it is there; return its record, or nothing when it is being dropped.
-- KEYS: c. ARGV: record, priority
local c = KEYS[1]
local record, state = unpack(call('HMGET', c, 'record', 'state'))
if state == 'dropped' then return false end
if record then return record end
call('HSET', c, 'record', ARGV[1], 'state', 'draft', 'source_complete', '0', 'priority', ARGV[2])
return ARGV[1]
