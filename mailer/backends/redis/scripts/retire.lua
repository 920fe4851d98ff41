-- A campaign that is over and packed needs nobody's care any more. KEYS: c, live. ARGV: base, id. Returns 1 when it left.
local base, state = ARGV[1], call('HGET', KEYS[1], 'state')
if state and state ~= 'finished' and state ~= 'cancelled' then return 0 end
if call('EXISTS', base .. 'open') == 1 then return 0 end
-- Files of a producer that died before it stored the messages.
for _, file in ipairs(call('SMEMBERS', base .. 'u')) do call('DEL', base .. 'b:' .. file) end
call('DEL', base .. 'u')
call('SREM', KEYS[2], ARGV[2])
return 1
