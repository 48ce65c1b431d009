//! Twenty-one tasks with several roots and diamonds: the nightly close of a small shop.
//!
//! ```text
//! load_orders ───► clean_orders ─┬──────────────┬─► revenue ─┬─► margin ─┬─► summary ─┬─► ledger ────┬─► close
//! load_returns ──► clean_returns ┤              │   costs ───┘           │            └─► dashboard ─┤
//! load_products ─► price_list ───│──────────────┘                        │                           │
//! load_customers ► segments ─────│─► loyalty ─────► campaign ────────────┘                           │
//! load_stock ────────────────────┴─► stock_levels ► reorder ──► supplier_orders ─────────────────────┘
//! ```
//! The tasks compute with small numbers that are right or wrong; the test of the whole run checks them.

use cloacina_workflow::prelude::*;
use serde_json::json;

#[packaged_workflow(name = "nightly_close", package = "complex_dag", description = "Closes the day of a small shop")]
pub mod nightly_close {
    use super::*;

    /// The day's orders: product, customer, quantity.
    #[task(dependencies = [])]
    pub fn load_orders(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context
            .insert("orders", json!([["tea", "ann", 3], ["mug", "bob", 2], ["tea", "bob", 0], ["pot", "cy", 1]]))?)
    }

    /// What came back: product, customer, quantity.
    #[task(dependencies = [])]
    pub fn load_returns(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("returns", json!([["mug", "bob", 1]]))?)
    }

    /// Price and cost by product, in cents.
    #[task(dependencies = [])]
    pub fn load_products(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("products", json!({"tea": [500, 200], "mug": [900, 350], "pot": [2500, 1400]}))?)
    }

    /// Orders so far, by customer.
    #[task(dependencies = [])]
    pub fn load_customers(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("customers", json!({"ann": 12, "bob": 1, "cy": 5}))?)
    }

    /// Stock in the morning, by product.
    #[task(dependencies = [])]
    pub fn load_stock(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("stock", json!({"tea": 10, "mug": 3, "pot": 1}))?)
    }

    /// Drops orders over nothing.
    #[task(dependencies = [load_orders])]
    pub fn clean_orders(context: &mut Context<Value>) -> Result<(), TaskError> {
        let orders: Vec<Line> = context.get_as("orders")?;
        let clean: Vec<Line> = orders.into_iter().filter(|(_, _, quantity)| *quantity > 0).collect();
        Ok(context.update("orders", json!(clean))?)
    }

    /// Counts what came back, by product.
    #[task(dependencies = [load_returns])]
    pub fn clean_returns(context: &mut Context<Value>) -> Result<(), TaskError> {
        let returns: Vec<Line> = context.get_as("returns")?;
        Ok(context.insert("returned", json!(by_product(&returns)))?)
    }

    /// The prices alone.
    #[task(dependencies = [load_products])]
    pub fn price_list(context: &mut Context<Value>) -> Result<(), TaskError> {
        let prices: Table = products(context)?.into_iter().map(|(name, [price, _])| (name, price)).collect();
        Ok(context.insert("prices", json!(prices))?)
    }

    /// Customers with more than three orders are regulars.
    #[task(dependencies = [load_customers])]
    pub fn segments(context: &mut Context<Value>) -> Result<(), TaskError> {
        let customers: Table = context.get_as("customers")?;
        let regulars: Vec<_> = customers.into_iter().filter(|(_, orders)| *orders > 3).map(|(name, _)| name).collect();
        Ok(context.insert("regulars", json!(regulars))?)
    }

    /// Stock in the evening: less what was ordered, more what came back.
    #[task(dependencies = [load_stock, clean_orders, clean_returns])]
    pub fn stock_levels(context: &mut Context<Value>) -> Result<(), TaskError> {
        let (mut stock, sold) = (context.get_as::<Table>("stock")?, net_sales(context)?);
        for (product, quantity) in sold {
            *stock.entry(product).or_default() -= quantity;
        }
        Ok(context.insert("stock_evening", json!(stock))?)
    }

    /// What the day brought in.
    #[task(dependencies = [clean_orders, clean_returns, price_list])]
    pub async fn revenue(context: &mut Context<Value>) -> Result<(), TaskError> {
        let (sold, prices) = (net_sales(context)?, context.get_as::<Table>("prices")?);
        Ok(context.insert("revenue", json!(total(&sold, &prices)))?)
    }

    /// What it cost.
    #[task(dependencies = [clean_orders, clean_returns, price_list])]
    pub async fn costs(context: &mut Context<Value>) -> Result<(), TaskError> {
        let costs: Table = products(context)?.into_iter().map(|(name, [_, cost])| (name, cost)).collect();
        let sold = net_sales(context)?;
        Ok(context.insert("costs", json!(total(&sold, &costs)))?)
    }

    /// The first diamond's join.
    #[task(dependencies = [revenue, costs])]
    pub async fn margin(context: &mut Context<Value>) -> Result<(), TaskError> {
        let margin = context.get_as::<i64>("revenue")? - context.get_as::<i64>("costs")?;
        Ok(context.insert("margin", json!(margin))?)
    }

    /// Which regulars bought today.
    #[task(dependencies = [segments, clean_orders])]
    pub async fn loyalty(context: &mut Context<Value>) -> Result<(), TaskError> {
        let (orders, regulars) = (context.get_as::<Vec<Line>>("orders")?, context.get_as::<Vec<String>>("regulars")?);
        let loyal: Vec<_> = regulars.into_iter().filter(|name| orders.iter().any(|(_, who, _)| who == name)).collect();
        Ok(context.insert("loyal", json!(loyal))?)
    }

    /// Whom to thank.
    #[task(dependencies = [loyalty], optional = true)]
    pub async fn campaign(context: &mut Context<Value>) -> Result<(), TaskError> {
        let thanks: Vec<_> =
            context.get_as::<Vec<String>>("loyal")?.iter().map(|name| format!("thank {name}")).collect();
        Ok(context.insert("campaign", json!(thanks))?)
    }

    /// What runs short.
    #[task(dependencies = [stock_levels])]
    pub fn reorder(context: &mut Context<Value>) -> Result<(), TaskError> {
        let stock: Table = context.get_as("stock_evening")?;
        let short: Vec<_> = stock.into_iter().filter(|(_, left)| *left < 2).map(|(product, _)| product).collect();
        Ok(context.insert("short", json!(short))?)
    }

    /// Orders ten of each.
    #[task(dependencies = [reorder])]
    pub fn supplier_orders(context: &mut Context<Value>) -> Result<(), TaskError> {
        let short: Vec<String> = context.get_as("short")?;
        let orders: Table = short.into_iter().map(|product| (product, 10)).collect();
        Ok(context.insert("supplier_orders", json!(orders))?)
    }

    /// The day in one object.
    #[task(dependencies = [margin, campaign])]
    pub async fn summary(context: &mut Context<Value>) -> Result<(), TaskError> {
        let summary = json!({ "margin": context.get("margin"), "thanks": context.get("campaign") });
        Ok(context.insert("summary", summary)?)
    }

    /// For the accountant.
    #[task(dependencies = [summary])]
    pub async fn ledger(context: &mut Context<Value>) -> Result<(), TaskError> {
        let line = format!("margin {}", context.get_as::<i64>("margin")?);
        Ok(context.insert("ledger", json!(line))?)
    }

    /// For the owner.
    #[task(dependencies = [summary])]
    pub async fn dashboard(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("dashboard", json!({ "tiles": 2 }))?)
    }

    /// Everything in one place: the last join.
    #[task(dependencies = [ledger, dashboard, supplier_orders], priority = 10)]
    pub fn close(context: &mut Context<Value>) -> Result<(), TaskError> {
        let keys: Vec<String> = context.keys().map(str::to_owned).collect();
        Ok(context.insert("closed_over", json!(keys.len()))?)
    }
}

/// Product, customer, quantity.
type Line = (String, String, i64);
type Table = std::collections::BTreeMap<String, i64>;

fn by_product(lines: &[Line]) -> Table {
    let mut table = Table::new();
    for (product, _, quantity) in lines {
        *table.entry(product.clone()).or_default() += quantity;
    }
    table
}

fn net_sales(context: &Context<Value>) -> Result<Table, ContextError> {
    let mut sold = by_product(&context.get_as::<Vec<Line>>("orders")?);
    for (product, quantity) in context.get_as::<Table>("returned")? {
        *sold.entry(product).or_default() -= quantity;
    }
    Ok(sold)
}

fn products(context: &Context<Value>) -> Result<std::collections::BTreeMap<String, [i64; 2]>, ContextError> {
    context.get_as("products")
}

fn total(quantities: &Table, each: &Table) -> i64 {
    quantities.iter().map(|(product, quantity)| quantity * each.get(product).copied().unwrap_or_default()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_falls_by_what_was_sold_and_not_returned() {
        let input = json!({
            "stock": {"tea": 10, "mug": 3}, "orders": [["tea", "ann", 3], ["mug", "bob", 2]], "returned": {"mug": 1},
        });
        let mut context = Context::from_object(input).unwrap();
        nightly_close::stock_levels(&mut context).unwrap();
        assert_eq!(context.get("stock_evening"), Some(&json!({"tea": 7, "mug": 2})));
    }
}
