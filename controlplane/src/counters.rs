//! Counts that are forgotten by themselves: in Redis, where all instances count together, or else in memory.
//!
//! Memory is bounded: with too many keys, those not asked for longest go first. When Redis comes or goes, counting
//! begins anew.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use redis::Script;

use crate::redis_link::RedisLink;

/// Adds one; a new key lives for ARGV[1] milliseconds, and with ARGV[2] set, so does one that is there already.
static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local count = redis.call('INCR', KEYS[1]) \
         if count == 1 or ARGV[2] == '1' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end \
         return {count, redis.call('PTTL', KEYS[1])}",
    )
});
/// The count and what is left of its time.
static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new("return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('PTTL', KEYS[1])}")
});

/// When a count that goes on is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So long after it began.
    SinceFirst(Duration),
    /// So long after it grew last.
    SinceLast(Duration),
}

/// A count and when it will be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub number: u64,
    /// For how long from now.
    pub remaining: Duration,
}

/// A set of counts by key.
#[derive(Debug)]
pub struct Counters {
    name: &'static str,
    memory: Cache<String, Kept>,
    redis: Option<Arc<RedisLink>>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    number: u64,
    until: Instant,
}

impl Kept {
    fn count(self, now: Instant) -> Count {
        Count { number: self.number, remaining: self.until.saturating_duration_since(now) }
    }
}

/// Every count says itself how long it is kept.
struct UntilThen;

impl Expiry<String, Kept> for UntilThen {
    fn expire_after_create(&self, _key: &String, kept: &Kept, now: Instant) -> Option<Duration> {
        Some(kept.until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _key: &String,
        kept: &Kept,
        now: Instant,
        _remaining: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.until.saturating_duration_since(now))
    }
}

impl Counters {
    /// No counts yet; at most `max_keys` of them in memory. `name` tells them from others in Redis.
    pub fn new(name: &'static str, max_keys: u64, redis: Option<Arc<RedisLink>>) -> Self {
        let memory = Cache::builder()
            .max_capacity(max_keys)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(UntilThen)
            .build();
        Self { name, memory, redis }
    }

    /// Counts one more.
    pub async fn increment(&self, key: &str, lifetime: Lifetime) -> Count {
        if let Some(redis) = &self.redis {
            let (duration, renew) = match lifetime {
                Lifetime::SinceFirst(duration) => (duration, 0),
                Lifetime::SinceLast(duration) => (duration, 1),
            };
            let mut script = INCREMENT.key(self.redis_key(key));
            script.arg(millis(duration)).arg(renew);
            if let Some((number, ttl_ms)) = redis.invoke::<(u64, i64)>(&script).await {
                return Count { number, remaining: from_ttl(ttl_ms) };
            }
        }
        self.increment_in_memory(key, lifetime, Instant::now())
    }

    /// The count, unless there is none.
    pub async fn get(&self, key: &str) -> Option<Count> {
        if let Some(redis) = &self.redis
            && let Some((number, ttl_ms)) = redis.invoke::<(u64, i64)>(&GET.key(self.redis_key(key))).await
        {
            return (number > 0).then(|| Count { number, remaining: from_ttl(ttl_ms) });
        }
        self.memory.get(key).map(|kept| kept.count(Instant::now()))
    }

    /// Forgets the count at once.
    pub async fn forget(&self, key: &str) {
        self.memory.invalidate(key);
        if let Some(redis) = &self.redis {
            redis.query::<i64>(redis::cmd("DEL").arg(self.redis_key(key))).await;
        }
    }

    fn increment_in_memory(&self, key: &str, lifetime: Lifetime, now: Instant) -> Count {
        let mut count = Count { number: 1, remaining: Duration::ZERO };
        self.memory.entry_by_ref(key).and_compute_with(|entry| {
            let present = entry.map(|entry| entry.into_value()).filter(|kept| kept.until > now);
            let number = present.map_or(0, |kept| kept.number).saturating_add(1);
            let until = match (lifetime, present) {
                (Lifetime::SinceFirst(_), Some(kept)) => kept.until,
                (Lifetime::SinceFirst(duration) | Lifetime::SinceLast(duration), _) => now + duration,
            };
            let kept = Kept { number, until };
            count = kept.count(now);
            Op::Put(kept)
        });
        count
    }

    fn redis_key(&self, key: &str) -> String {
        format!("vedette:{}:{key}", self.name)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// A key that just ended says so with a negative number.
fn from_ttl(ttl_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ttl_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_count_ends_when_it_should() {
        let counters = Counters::new("test", 100, None);
        let start = Instant::now();
        let count = |lifetime, after_s| {
            counters.increment_in_memory("a", lifetime, start + Duration::from_secs(after_s))
        };
        assert_eq!(count(Lifetime::SinceFirst(MINUTE), 0), Count { number: 1, remaining: MINUTE });
        let second = count(Lifetime::SinceFirst(MINUTE), 20);
        assert_eq!(second, Count { number: 2, remaining: Duration::from_secs(40) });
        assert_eq!(count(Lifetime::SinceLast(MINUTE), 30), Count { number: 3, remaining: MINUTE });
        assert_eq!(count(Lifetime::SinceFirst(MINUTE), 89).number, 4);
        assert_eq!(count(Lifetime::SinceFirst(MINUTE), 91).number, 1, "it was forgotten");
    }

    #[test]
    fn any_number_of_keys_takes_little_memory() {
        let counters = Counters::new("test", 100, None);
        for number in 0..10_000 {
            counters.increment_in_memory(&number.to_string(), Lifetime::SinceFirst(MINUTE), Instant::now());
        }
        counters.memory.run_pending_tasks();
        assert!(counters.memory.entry_count() <= 100);
    }

    #[tokio::test]
    async fn what_is_forgotten_counts_from_one() {
        let counters = Counters::new("test", 100, None);
        counters.increment("a", Lifetime::SinceLast(MINUTE)).await;
        assert_eq!(counters.get("a").await.unwrap().number, 1);
        counters.forget("a").await;
        assert_eq!(counters.get("a").await, None);
        assert_eq!(counters.increment("a", Lifetime::SinceLast(MINUTE)).await.number, 1);
    }
}
