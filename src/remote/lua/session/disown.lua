-- A session gives up whatever it holds under a token and under those made of it (TOKEN.1 ..), as nobody knows what that is, a part of it at
-- a time: SESSION TOKEN CURSOR; from where to go on, '0' if that was all. A part is about a thousand tokens that are looked at: a guess.
local session, token = ARGV[2], ARGV[3]
let_go(session, token)
local found = call('HSCAN', P .. 's:' .. session, ARGV[4], 'MATCH', token .. '.*', 'COUNT', 1000)
for index = 1, #found[2], 2 do
    let_go(session, found[2][index])
end
return found[1]
