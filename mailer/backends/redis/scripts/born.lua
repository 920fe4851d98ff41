-- A ledger begins in this start of the server, so that nothing of it can have been forgotten yet. KEYS: gate.
return call('HSETNX', KEYS[1], 'born', run_id())
