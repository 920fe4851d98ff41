-- One leader by lease. KEYS: leader. ARGV: owner, lease ms
local held = call('GET', KEYS[1])
if not held or held == ARGV[1] then
  call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
