-- A session ends of its own accord: SESSION.
local session = ARGV[2]
for _, token in ipairs(call('HKEYS', P .. 's:' .. session)) do
    let_go(session, token)
end
call('ZREM', P .. 'sessions', session)
bury_some()
