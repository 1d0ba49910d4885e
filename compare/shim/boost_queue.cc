// Boost.Interprocess's message_queue for C. Exceptions end here: as a null pointer, or as false.

#include <boost/interprocess/ipc/message_queue.hpp>

using boost::interprocess::message_queue;

extern "C" {

message_queue *boost_queue_create(const char *name, size_t messages, size_t bytes) {
    try {
        return new message_queue(boost::interprocess::create_only, name, messages, bytes);
    } catch (...) {
        return nullptr;
    }
}

message_queue *boost_queue_open(const char *name) {
    try {
        return new message_queue(boost::interprocess::open_only, name);
    } catch (...) {
        return nullptr;
    }
}

void boost_queue_close(message_queue *queue) { delete queue; }

void boost_queue_remove(const char *name) { message_queue::remove(name); }

// Waits while the queue is full.
bool boost_queue_send(message_queue *queue, const void *message, size_t bytes) {
    try {
        queue->send(message, bytes, 0);
        return true;
    } catch (...) {
        return false;
    }
}

// Waits while the queue is empty; false if the message is not of `bytes` bytes.
bool boost_queue_receive(message_queue *queue, void *message, size_t bytes) {
    try {
        message_queue::size_type received = 0;
        unsigned int priority = 0;
        queue->receive(message, bytes, received, priority);
        return received == bytes;
    } catch (...) {
        return false;
    }
}

// 1: a message of `bytes` bytes; 0: none; -1: failed.
int boost_queue_try_receive(message_queue *queue, void *message, size_t bytes) {
    try {
        message_queue::size_type received = 0;
        unsigned int priority = 0;
        if (!queue->try_receive(message, bytes, received, priority)) {
            return 0;
        }
        return received == bytes ? 1 : -1;
    } catch (...) {
        return -1;
    }
}
}
