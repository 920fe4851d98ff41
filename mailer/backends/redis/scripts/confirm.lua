-- An operator says of a paused campaign that this ledger is the one to go on with; it stays on record. KEYS: c.
-- Returns why that was asked for, '' when it was not.
local c = KEYS[1]
local v = call('HMGET', c, 'distrusted', 'confirmed', 'state')
if not v[1] or v[3] ~= 'paused' then return '' end
local line = digits(now_ms()) .. ' ' .. v[1]
call('HSET', c, 'confirmed', v[2] and v[2] .. '\n' .. line or line)
call('HDEL', c, 'distrusted')
return v[1]
