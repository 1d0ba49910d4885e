-- Outcomes in an inbox: SESSION INBOX OBJECT TAKEN WAITER ENTRY .. The first TAKEN that there ever were go; some of the others, and, if there
-- are none, those of the entries that are not there any more: of them nothing will come. WAITER, or an empty text, waits if there
-- is neither.
local session, inbox, object, taken, waiter = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
require_session(session)
tick()
local list, key = contents(inbox), object_key(inbox)
local before = tonumber(call('HGET', key, 'taken')) or 0
if taken > before then
    call('LTRIM', list, taken - before, -1)
    call('HSET', key, 'taken', taken)
end
local found, missing, size = {}, {}, 0
-- At most 64, and none behind the first ones that have 4 MiB: an answer must come in time. A guess.
while #found < 64 and size < 4194304 do
    local outcome = call('LINDEX', list, #found)
    if not outcome then
        break
    end
    found[#found + 1], size = outcome, size + #outcome
end
if #found == 0 then
    for index = 7, #ARGV do
        if #call('XRANGE', object_key(object) .. ':d', ARGV[index], ARGV[index]) == 0 then
            missing[#missing + 1] = ARGV[index]
        end
    end
end
if waiter ~= '' then
    if #found > 0 or #missing > 0 then
        leave_line(inbox, waiter)
    else
        join_line(inbox, waiter)
    end
end
return { found, missing }
