-- A session goes on: SESSION LEASE. Besides, the sessions that were not renewed end, and what nothing refers to is removed: a bounded
-- part of it each time. What somebody else has written there must not keep anybody from going on.
local session, lease = ARGV[2], tonumber(ARGV[3])
require_session(session)
local at = tick()
call('ZADD', P .. 'sessions', at + lease, session)

local budget = 500

local function end_some(ended)
    for _, token in ipairs(call('HKEYS', P .. 's:' .. ended)) do
        if budget == 0 then
            return
        end
        budget = budget - 1
        end_hold(ended, token, at)
    end
    call('ZREM', P .. 'sessions', ended)
end

for _, ended in ipairs(call('ZRANGEBYSCORE', P .. 'sessions', '-inf', at, 'LIMIT', 0, 20)) do
    condemn(ended) -- it may take several turns, in which it must not go on
    if not pcall(end_some, ended) then
        call('ZREM', P .. 'sessions', ended)
        call('UNLINK', P .. 's:' .. ended)
    end
end

bury_some()
return call('LLEN', P .. 'grave') + call('ZCOUNT', P .. 'sessions', '-inf', at)
