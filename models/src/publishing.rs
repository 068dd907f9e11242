//! Models of one function's versions: published, superseded, refuted, lowered and asked for, all at once.

use crate::check;
use crate::queue::Queue;
use crate::sync::{AtomicPtr, AtomicUsize, Mutex, Ordering};
use crate::versions::{Version, Versions};
use loom::sync::Arc;
use loom::thread;
use std::ptr;
use upshift_base::Tier;

/// Code at one of a few places.
#[derive(Debug)]
struct Code {
    tier: Tier,
    place: usize,
    /// It takes something for granted.
    speculative: bool,
}

impl Version for Code {
    fn tier(&self) -> Tier {
        self.tier
    }

    fn entry(&self) -> *mut u8 {
        address(self.place)
    }

    fn takes_calls(&self) -> bool {
        true
    }
}

/// Where no code is: who gets there makes some.
const LAZY: usize = 9;

fn address(place: usize) -> *mut u8 {
    ptr::without_provenance_mut(place)
}

/// A function, and the memory that its code is written to.
struct Function {
    versions: Versions<Code>,
    slot: AtomicPtr<u8>,
    written: [AtomicUsize; 3],
    /// How often what code takes for granted was refuted.
    generation: Mutex<u32>,
}

impl Function {
    fn new() -> Arc<Function> {
        Arc::new(Function {
            versions: Versions::new(),
            slot: AtomicPtr::new(address(LAZY)),
            written: [0; 3].map(AtomicUsize::new),
            generation: Mutex::new(0),
        })
    }

    /// One that runs in tier 0.
    fn compiled() -> Arc<Function> {
        let function = Function::new();
        assert!(function.make(Tier::Baseline, None));
        function
    }

    /// Writes code, which relies on what was refuted `speculative` times when it was asked for, and publishes it.
    fn make(&self, tier: Tier, speculative: Option<u32>) -> bool {
        let place = tier.index();
        self.written[place].store(1, Ordering::Relaxed);
        let code = Code {
            tier,
            place,
            speculative: speculative.is_some(),
        };
        let is_refuted = |_: &Code| {
            speculative.is_some_and(|generation| *self.generation.lock().unwrap() != generation)
        };
        self.versions.publish(&self.slot, code, is_refuted, || ())
    }

    /// Where a call gets to now. All of the code there has been written.
    fn call(&self) -> usize {
        let place = self.slot.load(Ordering::Acquire).addr();
        if place != LAZY {
            assert_eq!(self.written[place].load(Ordering::Relaxed), 1);
        }
        place
    }

    /// Nothing changes any more: new calls use code of the tier that is booked.
    fn settled(&self) -> usize {
        let place = self.call();
        let booked = self.versions.tier().map_or(LAZY, Tier::index);
        assert_eq!(place, booked);
        place
    }
}

/// Two tiers' code is published at once: calls find code that is whole, never worse code than before, and the better in
/// the end.
pub fn better_code_stays() {
    check(|| {
        let function = Function::compiled();
        let publishing = [Tier::Optimizing, Tier::Top].map(|tier| {
            let function = Arc::clone(&function);
            thread::spawn(move || function.make(tier, None))
        });
        let first = function.call();
        assert!(first <= function.call());
        let [_, top] = publishing.map(|thread| thread.join().unwrap());
        assert!(top && function.settled() == Tier::Top.index());
    });
}

/// What code relies on is refuted while it is published: no call gets there afterwards, and it can be asked for again.
pub fn refuted_code_is_not_called() {
    check(|| {
        let function = Function::compiled();
        assert!(function.versions.request(Tier::Optimizing));
        let publishing = {
            let function = Arc::clone(&function);
            thread::spawn(move || function.make(Tier::Optimizing, Some(0)))
        };
        let calling = {
            let function = Arc::clone(&function);
            thread::spawn(move || function.call())
        };
        *function.generation.lock().unwrap() += 1;
        let retracted = function
            .versions
            .retract(&function.slot, address(LAZY), |code| !code.speculative);
        if retracted.is_some() {
            function.versions.withdraw_request(Tier::Optimizing);
        }
        calling.join().unwrap();
        let published = publishing.join().unwrap();
        assert_eq!(published, retracted.is_some());
        assert_eq!(function.settled(), Tier::Baseline.index());
        assert!(
            function.versions.request(Tier::Optimizing),
            "asked for again"
        );
    });
}

/// A function is lowered while better code is published, and nothing is left to fall back to: the next call makes some.
pub fn lowered_functions_stay_low() {
    check(|| {
        let function = Function::new();
        let publishing = {
            let function = Arc::clone(&function);
            thread::spawn(move || function.make(Tier::Optimizing, None))
        };
        function.versions.set_ceiling(Tier::Baseline);
        let good = |code: &Code| code.tier <= Tier::Baseline;
        function
            .versions
            .retract(&function.slot, address(LAZY), good);
        publishing.join().unwrap();
        assert_eq!(function.settled(), LAZY);
        assert!(function.make(Tier::Baseline, None));
        assert_eq!(function.settled(), Tier::Baseline.index());
    });
}

/// Two counters trip at once, and a worker serves what they ask for: one of them asks, and once.
pub fn a_promotion_is_asked_for_once() {
    check(|| {
        let function = Function::compiled();
        let queue = Arc::new(Queue::new());
        let counting = [(), ()].map(|()| {
            let (function, queue) = (Arc::clone(&function), Arc::clone(&queue));
            thread::spawn(move || {
                let asks = function.versions.request(Tier::Optimizing);
                asks && queue.push(0, Tier::Optimizing)
            })
        });
        let tier = queue.pop().expect("one of them asks");
        assert!(function.make(tier, None));
        let asked = counting.map(|thread| thread.join().unwrap());
        assert!(asked[0] != asked[1] && queue.len() == 0);
        assert_eq!(function.settled(), Tier::Optimizing.index());
    });
}

/// The queue is closed while a promotion is asked for: it is asked for again, or on its way, or lost with the queue.
pub fn a_promotion_turned_away_is_forgotten() {
    check(|| {
        let function = Function::compiled();
        let queue = Arc::new(Queue::new());
        let counting = {
            let (function, queue) = (Arc::clone(&function), Arc::clone(&queue));
            thread::spawn(move || {
                let accepted = function.versions.request(Tier::Top) && queue.push(0, Tier::Top);
                if !accepted {
                    function.versions.withdraw_request(Tier::Top);
                }
                accepted
            })
        };
        queue.close();
        let accepted = counting.join().unwrap();
        assert_eq!(function.versions.request(Tier::Top), !accepted);
    });
}
