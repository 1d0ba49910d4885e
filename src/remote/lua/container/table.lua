-- Entries by their keys, a hash: SESSION TOKEN OBJECT OPERATION, ..; values that are taken out are held under the token.
local session, token, object, operation = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = contents(object)

-- Gives an entry a value, or takes it out: `old` is what it has.
local function put(name, old, new)
    if new then
        call('HSET', key, name, new)
        retain(object, new)
    else
        call('HDEL', key, name)
    end
    if old then
        release(old)
    end
end

if operation == 'get' then
    local value = call('HGET', key, ARGV[6])
    hold(session, token, value)
    return value
elseif operation == 'contains' then
    return call('HEXISTS', key, ARGV[6])
elseif operation == 'count' then
    return call('HLEN', key)
elseif operation == 'insert' then -- KEY VALUE; whether there was one
    require_all(ARGV[7])
    local old = call('HGET', key, ARGV[6])
    put(ARGV[6], old, ARGV[7])
    return old and 1 or 0
elseif operation == 'swap' then -- KEY VALUE; what was there
    require_all(ARGV[7])
    local old = call('HGET', key, ARGV[6])
    hold(session, token, old)
    put(ARGV[6], old, ARGV[7])
    return old
elseif operation == 'extend' then -- KEY VALUE ..
    for index = 7, #ARGV, 2 do
        require_all(ARGV[index])
    end
    for index = 6, #ARGV, 2 do
        put(ARGV[index], call('HGET', key, ARGV[index]), ARGV[index + 1])
    end
elseif operation == 'take' then -- KEY; what was there
    local old = call('HGET', key, ARGV[6])
    hold(session, token, old)
    if old then
        put(ARGV[6], old, nil)
    end
    return old
elseif operation == 'any' then -- what was taken: {KEY, VALUE}
    local some = call('HRANDFIELD', key, 1, 'WITHVALUES')
    if #some == 0 then
        return false
    end
    hold(session, token, some[2])
    put(some[1], some[2], nil)
    return some
elseif operation == 'keys' then
    return call('HKEYS', key)
elseif operation == 'entries' then -- MOST; how many objects they refer to, if these are more
    local entries, values = call('HGETALL', key), {}
    for index = 2, #entries, 2 do
        values[#values + 1] = entries[index]
    end
    return hold_all(session, token, values, tonumber(ARGV[6])) or entries
elseif operation == 'clear' then
    drop_contents(object, session .. '/' .. token)
elseif operation == 'exchange' then -- KEY, HAS CURRENT, HAS NEW; 1, or what is there instead
    local found = call('HGET', key, ARGV[6])
    if found ~= (ARGV[7] == '1' and ARGV[8]) then
        hold(session, token, found)
        return { 0, found }
    end
    local new = ARGV[9] == '1' and ARGV[10] or nil
    if new then
        require_all(new)
    end
    put(ARGV[6], found, new)
    return { 1 }
elseif operation == 'many' then -- LOOKS, and so often KEY, HAS VALUE; CHANGES, and so often KEY, HAS VALUE; KEYS or -1, and so many KEYs
    local looks, changes = tonumber(ARGV[6]), {}
    local at = 7
    for _ = 1, looks do
        if call('HGET', key, ARGV[at]) ~= (ARGV[at + 1] == '1' and ARGV[at + 2]) then
            return 0
        end
        at = at + 3
    end
    local first, count = at + 1, tonumber(ARGV[at])
    at = first + 3 * count
    local keys = tonumber(ARGV[at])
    if keys >= 0 then
        if call('HLEN', key) ~= keys then
            return 0
        end
        for index = at + 1, at + keys do
            if call('HEXISTS', key, ARGV[index]) == 0 then
                return 0
            end
        end
    end
    for index = first, first + 3 * count - 1, 3 do
        if ARGV[index + 1] == '1' then
            require_all(ARGV[index + 2])
        end
    end
    for index = first, first + 3 * count - 1, 3 do
        put(ARGV[index], call('HGET', key, ARGV[index]), ARGV[index + 1] == '1' and ARGV[index + 2] or nil)
    end
    return 1
else
    fail('ERR no operation ' .. operation)
end
