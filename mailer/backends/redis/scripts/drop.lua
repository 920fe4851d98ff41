-- From now on a draft takes nothing more and is never sealed. KEYS: c. Returns 0 when there is no such draft.
-- Its record goes at the very end, so that whoever is killed while he removes the rest can be gone on from.
-- A draft with messages that went out is none: the queue server was rolled back, and has forgotten that it ran.
local c = KEYS[1]
local state = call('HGET', c, 'state')
if state ~= 'draft' and state ~= 'dropped' then return 0 end
for _, count in ipairs(call('HMGET', c, 'claimed', 'sending', 'sent', 'refused', 'in_doubt', 'deferred')) do
  if count and tonumber(count) > 0 then return 0 end
end
call('HSET', c, 'state', 'dropped')
return 1
