-- A session goes on: SESSION LEASE; how much is left to be removed. Besides, the sessions that were not renewed end, and what nobody sees any
-- more is removed: a part of it each time. What somebody else has written there must not keep anybody from going on.
local session, lease = ARGV[2], tonumber(ARGV[3])
require_session(session)
local at = tick()
call('ZADD', P .. 'sessions', at + lease, session)

for _, ended in ipairs(call('ZRANGEBYSCORE', P .. 'sessions', '-inf', at, 'LIMIT', 0, 20)) do
    condemn(ended) -- it may take several turns, in which it must not go on
    if budget > 0 then
        local is_well, is_done = pcall(end_holds, ended, at)
        if is_done or not is_well then
            call('UNLINK', P .. 's:' .. ended)
            call('ZREM', P .. 'sessions', ended)
        end
    end
end

bury_some()
return call('LLEN', P .. 'grave') + call('ZCOUNT', P .. 'sessions', '-inf', at)
