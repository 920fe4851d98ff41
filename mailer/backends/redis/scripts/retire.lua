-- A campaign that is over and packed needs nobody's care any more. KEYS: c, live. ARGV: base, id. Returns 1 when it left.
local state = call('HGET', KEYS[1], 'state')
if state and state ~= 'finished' and state ~= 'cancelled' then return 0 end
if call('EXISTS', ARGV[1] .. 'open') == 1 then return 0 end
call('SREM', KEYS[2], ARGV[2])
return 1
