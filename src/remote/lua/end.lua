-- A session ends of its own accord: SESSION.
local session = ARGV[2]
local at = tick()
for _, token in ipairs(call('HKEYS', P .. 's:' .. session)) do
    end_hold(session, token, at)
end
call('ZREM', P .. 'sessions', session)
bury_some()
