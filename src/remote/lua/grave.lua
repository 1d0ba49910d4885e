-- Removing what nothing refers to, a bounded part of it at a time.

-- Takes some of the contents out; whether that was all.
local function empty(key)
    local kind = call('TYPE', key).ok
    if kind == 'hash' then
        local some = call('HRANDFIELD', key, 100, 'WITHVALUES')
        for index = 1, #some, 2 do
            release(some[index + 1])
            call('HDEL', key, some[index])
        end
    elseif kind == 'list' then
        for _, value in ipairs(call('LPOP', key, 100) or {}) do
            release(value)
        end
    elseif kind == 'string' then
        release(call('GET', key))
        call('DEL', key)
    elseif kind == 'stream' then
        for _, entry in ipairs(call('XRANGE', key, '-', '+', 'COUNT', 100)) do
            release(entry[2][2])
            call('XDEL', key, entry[1])
        end
        if call('XLEN', key) == 0 then
            call('DEL', key)
        end
    end
    return call('EXISTS', key) == 0
end

local function bury(object)
    local key = P .. 'g:' .. object
    if not empty(key .. ':d') then
        return false
    end
    call('UNLINK', key)
    return true
end

local function bury_some()
    for _ = 1, 20 do
        local object = call('LPOP', P .. 'grave')
        if not object then
            break
        end
        local is_well, is_done = pcall(bury, object)
        if is_well and not is_done then
            call('RPUSH', P .. 'grave', object)
        end
    end
end
