-- One leader by lease; none where there is no ledger (any more). KEYS: leader, schema, campaigns. ARGV: owner, lease ms
if call('EXISTS', KEYS[2], KEYS[3]) == 0 then return 0 end
local held = call('GET', KEYS[1])
if not held or held == ARGV[1] then
  call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
