-- More recipients are to come, of the campaign's own list or of another one; a finished campaign runs again.
-- KEYS: c, live. ARGV: id, fingerprint of another list ('' for the own), number that its rows are to begin after.
-- Returns the state before, and that number as it was first said.
local c, list = KEYS[1], ARGV[2]
local v = call('HMGET', c, 'state', 'appended', 'appending')
local state = v[1]
if not state or state == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
-- Of a list that was appended to its end nothing is to come, whoever has not heard of it.
local base = '0'
if list ~= '' then
  call('HSETNX', c, 'base:' .. list, ARGV[3])
  base = call('HGET', c, 'base:' .. list)
end
if state == 'cancelled' or (list ~= '' and is_listed(v[2], list)) then return {state, base} end
if list == '' then
  call('HSET', c, 'source_complete', '0')
elseif not is_listed(v[3], list) then
  call('HSET', c, 'appending', v[3] and v[3] .. '\n' .. list or list)
end
if state == 'finished' then
  call('HSET', c, 'state', 'running')
  call('HDEL', c, 'finished')
  call('SADD', KEYS[2], ARGV[1])
end
return {state, base}
