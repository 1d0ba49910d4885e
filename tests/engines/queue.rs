//! Messages for whoever is free.

use std::time::Duration;

use crossproc::managed::Queue;
use crossproc::{Error, GetError, Manager, Process, PutError, TryGetError, TryPutError};
use serde::{Deserialize, Serialize};

use crate::common::processes::{is_killed, signal};
use crate::on_each_engine;

const MOMENT: Duration = Duration::from_millis(5);

on_each_engine!(
    messages_come_in_order,
    capacity_is_exact_and_what_does_not_fit_comes_back,
    an_impossible_capacity_is_an_error,
    a_closed_queue_is_drained,
    a_task_comes_back_when_it_is_given_back,
    a_task_is_given_back_by_a_panic,
    a_task_is_tried_for_and_waited_for,
    closing_is_seen,
    an_early_return_gives_a_task_back_that_was_to,
    a_task_that_gives_back_is_done_when_that_is_said,
    join_waits_for_what_others_have_got,
    each_message_is_got_once,
    what_does_not_decode_is_gone_and_the_rest_comes,
    what_cannot_be_decoded_is_not_put,
    a_queue_is_no_value,
);

fn messages_come_in_order(manager: &Manager) {
    let queue = manager.queue(8).unwrap();
    for text in ["a", "b", "c"] {
        queue.put(text).unwrap();
    }
    assert_eq!(queue.len().unwrap(), 3);
    assert_eq!([queue.get().unwrap(), queue.try_get().unwrap()], ["a".to_owned(), "b".to_owned()]);
    assert_eq!(queue.get_timeout(Duration::from_secs(20)), Ok("c".to_owned()));
    assert!(queue.is_empty().unwrap());
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
}

fn capacity_is_exact_and_what_does_not_fit_comes_back(manager: &Manager) {
    for capacity in [1, 2, 7] {
        let queue = manager.queue(capacity).unwrap();
        assert_eq!(queue.capacity(), capacity);
        for _ in 0..2 {
            (0..capacity).for_each(|number| queue.try_put(number).unwrap());
            assert_eq!(queue.try_put(100), Err(TryPutError::Full(100)));
            assert_eq!(queue.put_timeout(101, MOMENT), Err(TryPutError::Full(101)));
            assert!((0..capacity).all(|number| queue.get() == Ok(number)));
        }
        assert_eq!(queue.get_timeout(MOMENT), Err(TryGetError::Empty));
    }
}

fn an_impossible_capacity_is_an_error(manager: &Manager) {
    for wrong in [0, (1 << 30) + 1] {
        let refused = manager.queue::<u8>(wrong).map(drop).unwrap_err();
        assert!(matches!(refused, Error::Capacity { capacity, .. } if capacity == wrong), "{refused}");
    }
}

fn a_closed_queue_is_drained(manager: &Manager) {
    fn drain(queue: Queue<u32>) -> Vec<u32> {
        queue.iter().map(Result::unwrap).collect()
    }
    let queue = manager.queue(4).unwrap();
    let process = Process::spawn(drain, (&queue,)).unwrap();
    for number in 0..20 {
        queue.put(number).unwrap();
    }
    queue.close().unwrap();
    assert_eq!(queue.put(20), Err(PutError::Closed(20)));
    assert_eq!(queue.try_put(20), Err(TryPutError::Closed(20)));
    assert!(process.join().unwrap().into_iter().eq(0..20));
    assert_eq!((queue.get(), queue.try_get()), (Err(GetError::Closed), Err(TryGetError::Closed)));
}

fn a_task_comes_back_when_it_is_given_back(manager: &Manager) {
    let queue = manager.queue::<String>(1).unwrap();
    queue.put("job").unwrap();
    let mut task = queue.get_task().unwrap();
    task.push('s');
    assert_eq!(*task, "jobs");
    assert_eq!(queue.try_put("next"), Err(TryPutError::Full("next")), "it has its place");
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    task.give_back().unwrap();
    let task = queue.get_task().unwrap();
    assert_eq!(*task, "job");
    task.done().unwrap();
    queue.join().unwrap();
    queue.try_put("next").unwrap();
}

fn a_task_is_given_back_by_a_panic(manager: &Manager) {
    let queue = manager.queue(1).unwrap();
    queue.put(5).unwrap();
    let panics = std::panic::AssertUnwindSafe(|| {
        let _task = queue.get_task().unwrap();
        std::panic::resume_unwind(Box::new(()));
    });
    std::panic::catch_unwind(panics).unwrap_err();
    assert_eq!(queue.get_timeout(Duration::from_secs(20)), Ok(5));
}

fn a_task_is_tried_for_and_waited_for(manager: &Manager) {
    let queue = manager.queue(2).unwrap();
    assert_eq!(queue.try_get_task().map(drop), Err(TryGetError::Empty));
    assert_eq!(queue.get_task_timeout(MOMENT).map(drop), Err(TryGetError::Empty));
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let task = queue.try_get_task().unwrap();
    assert_eq!(*task, 1);
    assert_eq!(queue.get_task_timeout(Duration::from_secs(20)).unwrap().into_inner().unwrap(), 2);
    assert_eq!(queue.try_get_task().map(drop), Err(TryGetError::Empty), "the first has not come back");
    queue.close().unwrap();
    assert_eq!(queue.try_get_task().map(drop), Err(TryGetError::Empty), "the first may come back");
    task.done().unwrap();
    assert_eq!(queue.try_get_task().map(drop), Err(TryGetError::Closed));
    assert_eq!(queue.get_task_timeout(MOMENT).map(drop), Err(TryGetError::Closed));
}

fn closing_is_seen(manager: &Manager) {
    let queue = manager.queue::<u32>(1).unwrap();
    let other = queue.clone();
    assert!(!queue.is_closed().unwrap());
    other.close().unwrap();
    assert!(queue.is_closed().unwrap());
}

fn an_early_return_gives_a_task_back_that_was_to(manager: &Manager) {
    fn parse(queue: &Queue<String>) -> Result<u32, Box<dyn std::error::Error>> {
        let task = queue.get_task()?.give_back_on_drop();
        let number = task.parse()?;
        task.done()?;
        Ok(number)
    }
    let queue = manager.queue::<String>(1).unwrap();
    queue.put("seven").unwrap();
    for _ in 0..3 {
        parse(&queue).unwrap_err();
        assert_eq!(queue.len().unwrap(), 1);
        assert!(!queue.join_timeout(MOMENT).unwrap(), "it is not done");
    }
    assert_eq!(queue.get_timeout(Duration::from_secs(20)), Ok("seven".to_owned()));
    queue.task_done().unwrap();
    queue.put("7").unwrap();
    assert_eq!(parse(&queue).unwrap(), 7);
    queue.join().unwrap();
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
}

fn a_task_that_gives_back_is_done_when_that_is_said(manager: &Manager) {
    let queue = manager.queue(1).unwrap();
    queue.put(1).unwrap();
    queue.get_task().unwrap().give_back_on_drop().done().unwrap();
    assert!(queue.join_timeout(Duration::ZERO).unwrap());
    queue.try_put(2).unwrap();
    assert_eq!(queue.get_task().unwrap().give_back_on_drop().into_inner().unwrap(), 2);
    assert!(queue.join_timeout(Duration::ZERO).unwrap());
    queue.try_put(3).unwrap();
    assert_eq!(queue.get_task().unwrap().into_inner().unwrap(), 3);
    assert!(queue.join_timeout(Duration::ZERO).unwrap());
    assert!(matches!(queue.task_done(), Err(Error::NothingToBeDone { .. })), "tasks count for themselves");
}

fn join_waits_for_what_others_have_got(manager: &Manager) {
    fn work(jobs: Queue<u32>, results: Queue<u32>) {
        for job in jobs.iter() {
            results.put(job.unwrap() + 1).unwrap();
            jobs.task_done().unwrap();
        }
    }
    let (jobs, results) = (manager.queue(4).unwrap(), manager.queue(100).unwrap());
    jobs.put(1).unwrap();
    assert_eq!(jobs.get(), Ok(1));
    assert!(!jobs.join_timeout(MOMENT).unwrap(), "got, and not done");
    jobs.task_done().unwrap();
    assert!(matches!(jobs.task_done(), Err(Error::NothingToBeDone { .. })));
    let processes: Vec<_> = (0..2).map(|_| Process::spawn(work, (&jobs, &results)).unwrap()).collect();
    for job in 0..20 {
        jobs.put(job).unwrap();
    }
    jobs.join().unwrap();
    assert_eq!(results.len().unwrap(), 20);
    jobs.close().unwrap();
    for process in processes {
        process.join().unwrap();
    }
}

fn each_message_is_got_once(manager: &Manager) {
    const EACH: u64 = 100;
    fn produce(queue: Queue<(u64, u64)>, producer: u64) {
        for number in 0..EACH {
            queue.put((producer, number)).unwrap();
        }
    }
    fn consume(queue: Queue<(u64, u64)>) -> Vec<(u64, u64)> {
        queue.iter().map(Result::unwrap).collect()
    }
    let queue = manager.queue(5).unwrap();
    let producers: Vec<_> = (0..3).map(|number| Process::spawn(produce, (&queue, number)).unwrap()).collect();
    let consumers: Vec<_> = (0..3).map(|_| Process::spawn(consume, (&queue,)).unwrap()).collect();
    for process in producers {
        process.join().unwrap();
    }
    queue.close().unwrap();
    let mut all = Vec::new();
    for process in consumers {
        let got = process.join().unwrap();
        for producer in 0..3 {
            assert!(got.iter().filter(|message| message.0 == producer).is_sorted(), "not in order");
        }
        all.extend(got);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq((0..3).flat_map(|producer| (0..EACH).map(move |number| (producer, number)))));
}

/// Its 13 does not decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct Lucky(u8);

impl From<Lucky> for u8 {
    fn from(lucky: Lucky) -> u8 {
        lucky.0
    }
}

impl TryFrom<u8> for Lucky {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, &'static str> {
        if number == 13 { Err("bad luck") } else { Ok(Lucky(number)) }
    }
}

fn what_does_not_decode_is_gone_and_the_rest_comes(manager: &Manager) {
    let queue = manager.queue(8).unwrap();
    for number in [13, 1, 13, 2] {
        queue.put(Lucky(number)).unwrap();
    }
    let refused = queue.get().unwrap_err();
    assert!(matches!(refused, GetError::Failed(Error::Decode { .. })), "{refused}");
    assert_eq!(queue.get(), Ok(Lucky(1)));
    assert!(matches!(queue.get_task().map(drop), Err(GetError::Failed(Error::Decode { .. }))));
    assert_eq!(queue.get(), Ok(Lucky(2)));
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    assert!(matches!(queue.task_done(), Err(Error::NothingToBeDone { .. })), "nobody has got those");
    queue.join().unwrap();
}

fn what_cannot_be_decoded_is_not_put(manager: &Manager) {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Any {
        Number(u8),
    }
    let queue = manager.queue(8).unwrap();
    let refused = queue.put(Any::Number(1)).unwrap_err();
    assert!(matches!(refused, PutError::Failed { message: Any::Number(1), error: Error::Encode { .. } }), "{refused}");
    assert!(queue.is_empty().unwrap());
}

fn a_queue_is_no_value(manager: &Manager) {
    let queues = manager.list::<Queue<u8>>([]).unwrap();
    let refused = queues.push(manager.queue(1).unwrap()).unwrap_err();
    assert!(matches!(refused, Error::HandleOutsideTransfer), "{refused}");
    assert!(queues.is_empty().unwrap());
}

/// Gets a task and a message, says so, and dies with them.
fn die_with_two(queue: Queue<u32>) {
    let _task = queue.get_task().unwrap();
    assert_eq!(queue.get(), Ok(2));
    signal(std::process::id(), libc::SIGKILL);
}

fn tasks_of_the_dead(manager: &Manager) {
    let queue = manager.queue(4).unwrap();
    for number in [1, 2, 3] {
        queue.put(number).unwrap();
    }
    is_killed("the end", Process::spawn(die_with_two, (&queue,)).unwrap());
    let mut rest = [queue.get().unwrap(), queue.get().unwrap()];
    rest.sort_unstable();
    assert_eq!(rest, [1, 3], "what it had got is not delivered again");
    assert_eq!(queue.redelivered().unwrap(), 1);
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    queue.put(4).unwrap();
    queue.get_task().unwrap().give_back().unwrap();
    assert_eq!(queue.get(), Ok(4));
    assert_eq!(queue.redelivered().unwrap(), 1, "nobody has died with that one");
}

#[test]
fn a_killed_process_has_its_task_delivered_again() {
    let _watchdog = crate::common::watchdog();
    tasks_of_the_dead(&Manager::start().unwrap());
}

#[test]
fn a_queue_on_this_machine_has_no_place_in_a_manager() {
    let refused = Manager::start().unwrap().at("jobs").queue::<u8>(1).map(drop).unwrap_err();
    assert!(
        matches!(refused, Error::Unsupported { .. }) && refused.to_string().contains("open_or_create"),
        "{refused}"
    );
}

#[cfg(feature = "redis")]
mod at_a_server {
    use crossproc::managed::{Dict, List, Queue};
    use crossproc::{AttachError, Error, Manager, Process, PutError, TryGetError};

    use crate::common::watchdog;
    use crate::redis::Server;

    #[test]
    fn a_killed_process_has_its_task_delivered_again() {
        let _watchdog = watchdog();
        let server = Server::start();
        super::tasks_of_the_dead(&Manager::connect(&format!("{}?lease_ms=600", server.url())).unwrap());
    }

    /// Whatever else holds them is gone meanwhile.
    #[test]
    fn messages_have_handles_in_them() {
        fn answer(questions: Queue<(String, List<u32>)>) {
            for question in questions.iter() {
                let (name, list) = question.unwrap();
                assert_eq!(name, "squares");
                list.push(9).unwrap();
            }
        }
        let _watchdog = watchdog();
        let server = Server::start();
        let manager = Manager::connect(&server.url()).unwrap();
        let questions = manager.queue::<(String, List<u32>)>(4).unwrap();
        let list = manager.list([1, 4]).unwrap();
        questions.put(("squares".to_owned(), list.clone())).unwrap();
        let process = Process::spawn(answer, (&questions,)).unwrap();
        questions.close().unwrap();
        process.join().unwrap();
        assert_eq!(list.to_vec().unwrap(), [1, 4, 9]);

        let lists = manager.queue::<Dict<u8, List<u32>>>(1).unwrap();
        {
            let dict = manager.dict().unwrap();
            dict.insert(1, &list).unwrap();
            lists.put(&dict).unwrap();
        }
        drop(list);
        let task = lists.get_task().unwrap();
        assert_eq!(task.get(1).unwrap().unwrap().to_vec().unwrap(), [1, 4, 9]);
        task.give_back().unwrap();
        assert_eq!(lists.get().unwrap().get(1).unwrap().unwrap().to_vec().unwrap(), [1, 4, 9]);
    }

    #[test]
    fn a_handle_of_another_manager_is_refused_in_a_message() {
        let _watchdog = watchdog();
        let server = Server::start();
        let queue = Manager::connect(&server.url()).unwrap().queue::<List<u8>>(1).unwrap();
        let refused = queue.put(Manager::start().unwrap().list([1]).unwrap()).unwrap_err();
        assert!(matches!(refused, PutError::Failed { error: Error::Encode { .. }, .. }), "{refused}");
        assert!(queue.is_empty().unwrap());
    }

    #[test]
    fn a_queue_has_a_name_there() {
        let _watchdog = watchdog();
        let server = Server::start();
        let here = Manager::connect(&server.url()).unwrap();
        let there = Manager::connect(&format!("{}?lease_ms=9999", server.url())).unwrap();
        here.at("jobs").queue(3).unwrap().put("sweep".to_owned()).unwrap();
        let found = there.at("jobs").queue::<String>(100).unwrap();
        assert_eq!((found.capacity(), found.get()), (3, Ok("sweep".to_owned())));
        assert_eq!(found.try_get(), Err(TryGetError::Empty));
        let wrong = there.at("jobs").queue::<u8>(3).map(drop).unwrap_err();
        assert!(matches!(wrong, Error::Attach(AttachError::WrongType { .. })), "{wrong}");
        assert!(there.at("jobs").list::<String>().is_err());
        assert!(here.remove("jobs").unwrap());
        assert!(here.at("jobs").list::<String>().is_ok());
    }

    #[test]
    fn a_restart_without_data_is_told() {
        let _watchdog = watchdog();
        let mut server = Server::start();
        let manager = Manager::connect(&server.url()).unwrap();
        let queue = manager.queue(2).unwrap();
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        let (task, other) = (queue.get_task().unwrap(), queue.get_task().unwrap());
        server.kill();
        server.start_again();
        assert!(task.done().is_err());
        assert!(other.into_inner().is_err(), "this process does not have it");
        assert!(matches!(queue.try_get(), Err(TryGetError::Failed(Error::Gone { .. }))));
        assert!(matches!(queue.put(2), Err(PutError::Failed { message: 2, error: Error::Gone { .. } })));
    }
}
