//! Secret Manager.

use emulators::secrets::Server;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::paginator::ItemPaginator as _;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use google_cloud_secretmanager_v1::model::{Replication, Secret, SecretPayload, replication};
use google_cloud_wkt::FieldMask;

use crate::{anonymous, refusal};

const PROJECT: &str = "projects/p";

async fn setup() -> (Server, SecretManagerService) {
    let server = Server::start().unwrap();
    let client = SecretManagerService::builder()
        .with_endpoint(server.url())
        .with_credentials(anonymous())
        .build()
        .await
        .unwrap();
    (server, client)
}

fn secret(app: &str) -> Secret {
    let automatic = replication::Automatic::new();
    Secret::new()
        .set_replication(Replication::new().set_automatic(automatic))
        .set_labels([("app", app)])
}

async fn create(client: &SecretManagerService, id: &str) -> google_cloud_gax::Result<Secret> {
    client
        .create_secret()
        .set_parent(PROJECT)
        .set_secret_id(id)
        .set_secret(secret("chatflow"))
        .send()
        .await
}

#[tokio::test]
async fn what_is_added_is_read() {
    let (_server, client) = setup().await;
    let name = create(&client, "chatflow-token").await.unwrap().name;
    assert_eq!(name, "projects/p/secrets/chatflow-token");
    let latest = format!("{name}/versions/latest");
    let access = || client.access_secret_version().set_name(&latest).send();
    assert_eq!(refusal(access().await).0, Code::NotFound, "no version yet");

    for text in ["one", "two"] {
        let payload = SecretPayload::new().set_data(text.as_bytes().to_vec());
        client.add_secret_version().set_parent(&name).set_payload(payload).send().await.unwrap();
    }
    let found = access().await.unwrap();
    assert_eq!(found.name, format!("{name}/versions/2"));
    let payload = found.payload.unwrap();
    assert_eq!(&payload.data[..], b"two");
    assert!(payload.data_crc32c.is_some());
    let first = format!("{name}/versions/1");
    let found = client.access_secret_version().set_name(&first).send().await.unwrap();
    assert_eq!(&found.payload.unwrap().data[..], b"one");

    client.disable_secret_version().set_name(&first).send().await.unwrap();
    let disabled = client.access_secret_version().set_name(&first).send().await;
    assert_eq!(refusal(disabled).0, Code::FailedPrecondition);
    client.enable_secret_version().set_name(&first).send().await.unwrap();
    client.destroy_secret_version().set_name(&first).send().await.unwrap();
    let destroyed = client.access_secret_version().set_name(&first).send().await;
    assert_eq!(refusal(destroyed).0, Code::FailedPrecondition);
    let back = client.enable_secret_version().set_name(&first).send().await;
    assert_eq!(refusal(back).0, Code::FailedPrecondition);

    let versions = client.list_secret_versions().set_parent(&name).send().await.unwrap().versions;
    let names: Vec<_> = versions.iter().map(|v| v.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["2", "1"]);
}

#[tokio::test]
async fn payloads_are_checked() {
    let (_server, client) = setup().await;
    let name = create(&client, "s").await.unwrap().name;
    let add = |payload| client.add_secret_version().set_parent(&name).set_payload(payload).send();
    let good = SecretPayload::new().set_data(&b"123456789"[..]).set_data_crc32c(0xE306_9283_i64);
    assert!(add(good).await.unwrap().client_specified_payload_checksum);
    let damaged = SecretPayload::new().set_data(&b"123456780"[..]).set_data_crc32c(0xE306_9283_i64);
    assert_eq!(refusal(add(damaged).await).0, Code::InvalidArgument);
    let large = SecretPayload::new().set_data(vec![b'x'; 65_537]);
    let (code, text) = refusal(add(large).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(!text.contains("xxx"), "a payload must not be in an error");
    let missing = client
        .add_secret_version()
        .set_parent("projects/p/secrets/none")
        .set_payload(SecretPayload::new().set_data(&b"x"[..]));
    assert_eq!(refusal(missing.send().await).0, Code::NotFound);
}

#[tokio::test]
async fn secrets_are_made_once_and_deleted() {
    let (_server, client) = setup().await;
    let made = create(&client, "s").await.unwrap();
    assert_eq!(refusal(create(&client, "s").await).0, Code::AlreadyExists);
    assert_eq!(refusal(create(&client, "s s").await).0, Code::InvalidArgument);
    let bare = client.create_secret().set_parent(PROJECT).set_secret_id("t");
    let bare = bare.set_secret(Secret::new()).send().await;
    assert_eq!(refusal(bare).0, Code::InvalidArgument, "no replication");

    let stale = client.delete_secret().set_name(&made.name).set_etag("\"other\"").send().await;
    assert_eq!(refusal(stale).0, Code::FailedPrecondition);
    client.delete_secret().set_name(&made.name).set_etag(&made.etag).send().await.unwrap();
    let gone = client.get_secret().set_name(&made.name).send().await;
    assert_eq!(refusal(gone).0, Code::NotFound);
}

#[tokio::test]
async fn labels_change_and_lists_have_pages_and_filters() {
    let (_server, client) = setup().await;
    for id in ["a-1", "a-2", "b-1"] {
        create(&client, id).await.unwrap();
    }
    let name = "projects/p/secrets/a-2";
    let changed = secret("other").set_name(name);
    let mask = FieldMask::default().set_paths(["labels"]);
    let changed = client.update_secret().set_secret(changed).set_update_mask(mask).send().await;
    assert_eq!(changed.unwrap().labels["app"], "other");

    let listed = async |filter: &str| {
        let list = client.list_secrets().set_parent(PROJECT).set_page_size(1).set_filter(filter);
        let mut items = list.by_item();
        let mut ids = Vec::new();
        while let Some(secret) = items.next().await {
            ids.push(secret.unwrap().name.rsplit('/').next().unwrap().to_owned());
        }
        ids
    };
    assert_eq!(listed("").await, ["a-1", "a-2", "b-1"]);
    assert_eq!(listed("labels.app=chatflow").await, ["a-1", "b-1"]);
    assert_eq!(listed("labels.app=chatflow AND name:a-").await, ["a-1"]);
    let unknown = client.list_secrets().set_parent(PROJECT).set_filter("create_time>1").send();
    assert_eq!(refusal(unknown.await).0, Code::InvalidArgument);
    let other = client.list_secrets().set_parent("projects/q").send().await.unwrap();
    assert!(other.secrets.is_empty(), "projects are apart");
}
