-- Move a campaign to another state, or leave it. One whose time to begin is still to come does not run, but waits for it;
-- one whose ledger may be a copy does neither.
-- KEYS: c. ARGV: to, reason, by, states it may come from... Returns the state it came from, '' when it was left.
local c, into = KEYS[1], ARGV[1]
local now, v = now_ms(), call('HMGET', c, 'state', 'at')
local allowed = false
for i = 4, #ARGV do allowed = allowed or v[1] == ARGV[i] end
if not allowed or (into == 'running' and call('HEXISTS', c, 'distrusted') == 1) then return '' end
if into == 'running' and (tonumber(v[2]) or 0) > now then into = 'scheduled' end
call('HSET', c, 'state', into)
if into == 'paused' then
  call('HSET', c, 'paused_reason', ARGV[2], 'paused_by', ARGV[3])
else
  call('HDEL', c, 'paused_reason', 'paused_by')
end
settle(c, now)
return v[1]
