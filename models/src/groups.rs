//! Models of groups of functions: found, dropped and made again, also while their code is being made.

use crate::check;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::sync::{AtomicUsize, Ordering, Weak, downgrade, release};
use loom::thread;
use std::sync::Arc;

/// The ids of the functions of every group here.
const FIRST: u32 = 4;
const LEN: u32 = 2;

/// What groups share.
struct World {
    registry: Registry<Group>,
    /// How many groups have the ids.
    owners: AtomicUsize,
}

struct Group {
    world: Arc<World>,
}

impl Group {
    /// A group, if the ids are free.
    fn new(world: &Arc<World>) -> Option<Arc<Group>> {
        world
            .owners
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
        let group = Arc::new(Group {
            world: Arc::clone(world),
        });
        world.registry.add(FIRST, &group);
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.world.registry.forget(FIRST);
        self.world.owners.store(0, Ordering::Release);
    }
}

fn world() -> Arc<World> {
    Arc::new(World {
        registry: Registry::new(),
        owners: AtomicUsize::new(0),
    })
}

/// A group is dropped and another one made of its ids, while a thread looks for it: it finds one that has the ids, or
/// none. Whoever looked may be the last to hold the group, also if the id was none of its own.
pub fn a_group_that_is_found_has_its_ids() {
    check(|| {
        let world = world();
        let group = Group::new(&world).expect("the ids are free");
        let looking = [FIRST + 1, FIRST + LEN].map(|id| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let found = world.registry.find(id);
                let found = found.filter(|(_, index)| *index < LEN);
                if let Some((group, _)) = &found {
                    assert_eq!(group.world.owners.load(Ordering::Acquire), 1);
                }
                found.is_some()
            })
        });
        release(group);
        let next = Group::new(&world);
        let [_, outside] = looking.map(|thread| thread.join().unwrap());
        assert!(!outside);
        assert_eq!(world.registry.find(FIRST).is_some(), next.is_some());
        drop(next);
        assert!(world.registry.all().is_empty());
        assert_eq!(world.owners.load(Ordering::Acquire), 0);
    });
}

/// A group is dropped while its code is being made: a worker finds it gone, or keeps it until the code is there. It is
/// dropped once, and whoever drops it, its ids are free then.
pub fn a_group_dropped_while_its_code_is_made_is_freed() {
    check(|| {
        let world = world();
        let queue = Arc::new(Queue::<Weak<Group>>::new());
        let group = Group::new(&world).expect("the ids are free");
        assert!(queue.push(0, downgrade(&group)));
        assert!(queue.push(0, downgrade(&group)));
        let workers = [(), ()].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let request = queue.pop().expect("one for each");
                let Some(group) = request.upgrade() else {
                    return;
                };
                // The code is made now, and published.
                assert_eq!(group.world.owners.load(Ordering::Acquire), 1);
            })
        });
        release(group);
        workers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(world.owners.load(Ordering::Acquire), 0);
        assert!(world.registry.all().is_empty());
    });
}
