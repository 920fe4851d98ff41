-- Store an attached file, for messages that are about to come. KEYS: c. ARGV: base, digest, content
local c, base, digest_ = KEYS[1], ARGV[1], ARGV[2]
local state = call('HGET', c, 'state')
if not state or state == 'dropped' then return redis.error_reply('NOCAMPAIGN there is no such campaign in this ledger') end
if state == 'cancelled' then return redis.error_reply('CANCELLED this campaign was cancelled') end
if state == 'finished' then return redis.error_reply('FINISHED this campaign is finished and takes nothing more') end
if call('EXISTS', base .. 'b:' .. digest_) == 0 then
  call('SET', base .. 'b:' .. digest_, ARGV[3])
  call('SADD', base .. 'u', digest_)
end
return 1
