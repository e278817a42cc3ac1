//! Prints the Firestore indexes that the queries need: the content of
//! `infra/firestore/indexes.json`.

fn main() {
    println!("{:#}", backend_gcp::indexes_document());
}
