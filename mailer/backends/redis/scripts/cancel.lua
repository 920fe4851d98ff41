-- Cancel a campaign: from here on no claim gives anything and no mark is granted. KEYS: c. ARGV: reason
-- Returns 1 when this call cancelled it, 2 when it was cancelled before, 0 when its state does not allow it.
local c = KEYS[1]
local state = call('HGET', c, 'state')
if not state then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if state == 'cancelled' then return 2 end
if state ~= 'running' and state ~= 'paused' and state ~= 'scheduled' then return 0 end
call('HSET', c, 'state', 'cancelled', 'cancelled_reason', ARGV[1])
call('HDEL', c, 'paused_reason', 'paused_by')
settle(c, now_ms())
return 1
