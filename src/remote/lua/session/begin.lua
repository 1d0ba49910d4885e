-- A session begins: SESSION LEASE.
local session, lease = ARGV[2], tonumber(ARGV[3])
call('ZADD', P .. 'leases', lease, session)
set_leap()
call('ZADD', P .. 'sessions', tick() + lease, session)
