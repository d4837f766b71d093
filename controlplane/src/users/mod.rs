//! User accounts.

mod model;
mod service;

pub use model::{NewUser, UserView};
pub use service::{create, ensure_first_admin, find_by_username, get, set_password};
