-- Shared by the scripts that meet a doubt. Under `on_doubt = "resend"` it is queued again: the doubt itself and the decision
-- are both on record, so that whoever counts messages knows how many there may be.
local RESENT = 'resent'
local MOST_RESENDS = 2

-- How often this recipient was queued again by the policy since the operator's last word about it.
local function resends(o, index)
  local log, at, count = call('GET', o) or '', 1, 0
  while at <= #log do
    local size = struct.unpack('>H', log, at)
    local event = cmsgpack.unpack(sub(log, at + 2, at + 1 + size))
    if event[1] == tonumber(index) then
      if event[4] == 'operator' then count = 0 elseif event[4] == RESENT then count = count + 1 end
    end
    at = at + 2 + size
  end
  return count
end

-- Whether a recipient that is in doubt is to be queued again. A relay that never answers would get it for ever: the third
-- doubt stays one, and so does any that a `cancel` has met.
local function is_sent_again(c, o, index)
  local about = call('HMGET', c, 'record', 'state')
  if about[2] == 'cancelled' then return false end
  local read, campaign = pcall(cjson.decode, about[1])
  return read and campaign.delivery.on_doubt == 'resend' and resends(o, index) < MOST_RESENDS
end

-- The event that follows the doubt: no phase (cjson.null is packed as nil), class unknown.
local function sent_again(index, now)
  local text = 'on_doubt is resend: sent again, may arrive twice'
  local event = cmsgpack.pack({tonumber(index), 'q', now, RESENT, text, cjson.null, 'unknown'})
  return struct.pack('>H', #event) .. event
end
