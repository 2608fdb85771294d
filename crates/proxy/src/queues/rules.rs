//! Delegation rules of one thread: one a (queue, URL prefix), found by destination.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use ostler_delegation::{DelegationRule, QueueError};
use ostler_model::DestinationModel;

use super::queue::Queue;

/// A rule and the queue it leads to.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) rule: DelegationRule,
    pub(crate) queue: Rc<Queue>,
}

/// A rule, with the model it was made of: as long as that is in force, or an exchange has it.
type Known = (Weak<DestinationModel>, Rc<Rule>);

/// The rules made so far.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// By the destination model's address: the model's memory is kept with it, so no other can have it.
    by_model: RefCell<HashMap<usize, Known>>,
}

impl Rules {
    /// Lets go of the rules, and queues, of destinations that are no more.
    pub(crate) fn forget_gone(&self) {
        let mut rules = self.by_model.borrow_mut();
        rules.retain(|_, (model, _)| model.strong_count() > 0);
    }

    /// The rule of a destination that names a queue. Made on demand; making one opens its queue's
    /// folder and nothing else.
    pub(crate) fn of(
        &self,
        model: &Arc<DestinationModel>,
        queue_name: &str,
        open: impl FnOnce(&DelegationRule) -> Rc<Queue>,
    ) -> Result<Rc<Rule>, QueueError> {
        let address = Arc::as_ptr(model) as usize;
        if let Some((_, rule)) = self.by_model.borrow().get(&address) {
            return Ok(Rc::clone(rule));
        }
        let rule = DelegationRule::new(queue_name, &model.config.address)?;
        let rule = Rc::new(Rule {
            queue: open(&rule),
            rule,
        });
        self.by_model
            .borrow_mut()
            .insert(address, (Arc::downgrade(model), Rc::clone(&rule)));
        Ok(rule)
    }
}
