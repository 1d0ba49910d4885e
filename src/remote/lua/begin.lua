-- A session begins, or goes on under a new name: SESSION LEASE, TOKEN OBJECT ..; the tokens whose objects are no more.
local session, lease = ARGV[2], tonumber(ARGV[3])
local leap = tonumber(call('HGET', P .. 'clock', 'leap'))
if not leap or leap > lease / 2 then
    call('HSET', P .. 'clock', 'leap', math.floor(lease / 2))
end
call('ZADD', P .. 'sessions', tick() + lease, session)
local gone = {}
for index = 4, #ARGV, 2 do
    if call('EXISTS', object_key(ARGV[index + 1])) == 1 then
        hold_object(session, ARGV[index], ARGV[index + 1])
    else
        gone[#gone + 1] = ARGV[index]
    end
end
return gone
