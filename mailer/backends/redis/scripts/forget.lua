-- Take back what an idempotency key stands for, unless it stands for another campaign. KEYS: keys. ARGV: key, campaign id
if call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return call('HDEL', KEYS[1], ARGV[1]) end
return 0
