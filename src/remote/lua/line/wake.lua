-- Wakes some of those who wait: OBJECT; whether others are left.
if call('EXISTS', object_key(ARGV[2])) == 0 then
    return 0
end
wake(ARGV[2], MOST_WOKEN)
return call('EXISTS', object_key(ARGV[2]) .. ':w')
