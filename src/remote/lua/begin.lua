-- A session begins: SESSION LEASE.
local session, lease = ARGV[2], tonumber(ARGV[3])
local leap = tonumber(call('HGET', P .. 'clock', 'leap'))
if not leap or leap > lease / 2 then
    call('HSET', P .. 'clock', 'leap', math.floor(lease / 2))
end
call('ZADD', P .. 'sessions', tick() + lease, session)
