-- A session gives holds up: SESSION, TOKEN ..
for index = 3, #ARGV do
    let_go(ARGV[2], ARGV[index])
end
