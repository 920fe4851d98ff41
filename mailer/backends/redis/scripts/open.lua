-- Create a campaign's record unless it is there; return its record. KEYS: c. ARGV: record
local c = KEYS[1]
local record = call('HGET', c, 'record')
if record then return record end
call('HSET', c, 'record', ARGV[1], 'state', 'draft', 'source_complete', '0')
return ARGV[1]
