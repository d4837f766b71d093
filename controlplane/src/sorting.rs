//! The order of a list: `sort` of the query names a column, with `-` before it to turn the order round.

use sea_orm::Order;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::schema::{Object, Type};

use crate::error::ApiError;

/// The column and the direction that `sort` asks for.
///
/// # Errors
/// When it is none of `columns`.
pub(crate) fn order<C: Clone>(sort: &str, columns: &[(&str, C)]) -> Result<(C, Order), ApiError> {
    let (name, order) = sort.strip_prefix('-').map_or((sort, Order::Asc), |name| (name, Order::Desc));
    let Some((_, column)) = columns.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let message = format!("must be one of {}, `-` before it for descending", names.join(", "));
        return Err(ApiError::validation("sort", message));
    };
    Ok((column.clone(), order))
}

/// What [`order`] takes, for the API's description.
pub(crate) fn schema<C>(columns: &[(&str, C)]) -> Object {
    let both_ways = columns.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")]);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(both_ways)).build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_minus_turns_the_order_round() {
        let columns = [("name", 1), ("age", 2)];
        assert_eq!(order("name", &columns).unwrap(), (1, Order::Asc));
        assert_eq!(order("-age", &columns).unwrap(), (2, Order::Desc));
        for wrong in ["", "-", "--age", "Name", "size"] {
            let message = order(wrong, &columns).unwrap_err().to_string();
            assert!(message.contains("name, age"), "{message}");
        }
    }
}
