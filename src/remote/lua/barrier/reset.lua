-- Makes a barrier whole, with nobody waiting: SESSION OBJECT TOKEN TIME.
local object, name = ARGV[3], ARGV[2] .. '/' .. ARGV[4]
require_session(ARGV[2])
contents(object)
if recall(object, name) then
    return
end
local key, at = object_key(object), tick()
hear(ARGV[2], at)
remember(object, name, 'done', at, ARGV[5])
for _, session in ipairs(call('HKEYS', owners_of(object))) do
    if not is_alive(session, at) then
        lose_parts(object, session)
    end
end
local found = call('HMGET', key, 'count', 'broken', 'void')
if found[2] or (tonumber(found[1]) or 0) > 0 then
    local void, turns = {}, turn_of(object)
    for turn in string.gmatch((found[3] or '') .. ' ' .. turns, '%d+') do
        void[#void + 1] = turn
    end
    if #void > 100 then
        call('HSET', key, 'forgotten', table.remove(void, 1))
    end
    call('HSET', key, 'void', table.concat(void, ' '))
    next_turn(object)
end
