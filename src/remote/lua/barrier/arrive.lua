-- A party arrives: SESSION OBJECT TOKEN HANDLE TIME, 1 if it acts when it is the last, 1 if it comes only when it is the last, WAITER; what
-- it is to do ('no': it has not come; 'busy': it cannot yet), in which generation, how many were there before, and by what it is broken.
local session, object, name, acts, only_last = ARGV[2], ARGV[3], ARGV[2] .. '/' .. ARGV[4], ARGV[7] == '1', ARGV[8] == '1'
require_session(session)
contents(object)
local key, at = object_key(object), tick()
hear(session, at)
local known = recall(object, name)
if known == 'void' then
    return { 'broken', 0, 0, 'timeout' }
elseif known then
    local turn, count = string.match(known, '^(%d+) (%d+)$')
    local found = verdict(object, tonumber(turn))
    if found[1] == 'wait' and call('HGET', key, 'acting') == name then
        found[1] = 'act'
    end
    return { found[1], tonumber(turn), tonumber(count), found[2] }
end
if not has_part(object, session, ARGV[5]) then
    tidy(object)
    add_part(object, session, ARGV[5])
end
local turn = turn_of(object)
local found = call('HMGET', key, 'broken', 'acting', 'count', 'parties')
local count, parties = tonumber(found[3]) or 0, tonumber(found[4]) or 1
if found[1] then
    return { 'broken', turn, 0, found[1] }
elseif only_last and (found[2] or count + 1 < parties) then
    return { 'no', turn, 0 }
elseif found[2] then
    break_for_dead(object, at)
    if ARGV[9] then
        join_line(object, ARGV[9])
    end
    return { 'busy', turn, 0 }
end
remember(object, name, turn .. ' ' .. count, at, ARGV[6])
call('HSET', key, 'count', count + 1)
if count + 1 >= parties then
    if acts then
        call('HSET', key, 'acting', name)
        return { 'act', turn, count }
    end
    next_turn(object)
    return { 'passed', turn, count }
end
if ARGV[9] then
    join_line(object, ARGV[9])
end
return { 'wait', turn, count }
