"""What the store has the server do in one piece: it runs whole or not at all.

Every entry carries a digest (`h`) of itself and of all before it. A caller names the last entry
that it has seen, by number and digest. Where the server has another entry there, or a log that
ends before it, the answer is `forked`, and the store is marked: from then on nobody appends,
whatever they have seen, until a person has removed the mark (`RedisStore.accept_loss`).

An entry that is gone while later ones are there was forgotten on purpose (`Store.forget`).
Entries of the time before digests count as having an empty one.
"""

from __future__ import annotations

_HISTORY = """
local function digest_of(item)
    for i = 1, #item[2], 2 do
        if item[2][i] == 'h' then return item[2][i + 1] end
    end
    return ''
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = 0
if newest then last = tonumber(string.match(newest[1], '^%d+')) end
local function is_forked(seen, digest)
    if seen == 0 then return false end
    local id = string.format('%d-0', seen)
    local item = redis.call('XRANGE', KEYS[1], id, id)[1]
    if item then return digest_of(item) ~= digest end
    return last < seen
end
local function fork(seen)
    local words = KEYS[1] .. ': entry ' .. seen .. ' was seen here, '
    if last < seen then
        words = words .. 'but the log now ends with entry ' .. last
    else
        words = words .. 'but now another one stands there'
    end
    redis.pcall('SET', KEYS[2], words, 'NX')
    return {'forked', words}
end
"""

APPEND = (
    _HISTORY
    + """
-- KEYS: stream, mark [, fencing]
-- ARGV: last number expected, lease's number, number seen, its digest, entries ...
if KEYS[3] then
    local latest = redis.call('GET', KEYS[3]) or '0'
    if latest ~= ARGV[2] then return {'lease lost', tonumber(latest)} end
end
local mark = redis.call('GET', KEYS[2])
if mark then return {'forked', mark} end
local seen = tonumber(ARGV[3])
if is_forked(seen, ARGV[4]) then return fork(seen) end
if last ~= tonumber(ARGV[1]) then return {'conflict', last} end
local digest = ''
if newest then digest = digest_of(newest) end
for i = 5, #ARGV do
    last = last + 1
    digest = redis.sha1hex(digest .. ARGV[i])
    redis.call('XADD', KEYS[1], string.format('%d-0', last), 'e', ARGV[i], 'h', digest)
end
return {'appended', last, digest}
"""
)

READ = (
    _HISTORY
    + """
-- KEYS: stream, mark   ARGV: after, limit, number seen, its digest
local seen = tonumber(ARGV[3])
if is_forked(seen, ARGV[4]) then return fork(seen) end
local from = string.format('%d-0', tonumber(ARGV[1]) + 1)
local found = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[2])
local answer = {'read', ''}
for _, item in ipairs(found) do
    answer[2] = digest_of(item)
    table.insert(answer, tonumber(string.match(item[1], '^%d+')))
    for i = 1, #item[2], 2 do
        if item[2][i] == 'e' then table.insert(answer, item[2][i + 1]) end
    end
end
return answer
"""
)

FORGET = """
-- KEYS: stream   ARGV: numbers
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
for i = 1, #ARGV do
    local id = ARGV[i] .. '-0'
    if newest and newest[1] ~= id then redis.call('XDEL', KEYS[1], id) end
end
"""

PUT = """
-- KEYS: values [, fencing]   ARGV: key, value, 1 for only if absent, lease's number
if KEYS[2] then
    local latest = redis.call('GET', KEYS[2]) or '0'
    if latest ~= ARGV[4] then return {'lease lost', tonumber(latest)} end
end
if ARGV[3] == '1' then
    return {'put', redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {'put', 1}
"""

ACQUIRE = """
-- KEYS: lease, fencing   ARGV: holder, milliseconds   returns the number, 0 if another holds it
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder then redis.call('INCR', KEYS[2]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return tonumber(redis.call('GET', KEYS[2]))
"""

RELEASE = """
-- KEYS: lease, fencing   ARGV: holder, number
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('GET', KEYS[2]) == ARGV[2] then
    redis.call('DEL', KEYS[1])
end
"""
