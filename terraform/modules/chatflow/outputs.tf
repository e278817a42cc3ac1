output "urls" {
  description = "Where each function answers."
  value       = local.urls
}

output "webhooks" {
  description = "What channels are told to call: a connection's name follows."
  value       = "${var.edge == null ? local.urls["gateway"] : module.edge[0].url}/webhooks/"
}

output "admin" {
  description = "The API and the admin page."
  value       = var.edge == null ? local.urls["admin"] : module.edge[0].url
}

output "address" {
  description = "What the domain's A record must name; null without a domain."
  value       = var.edge == null ? null : module.edge[0].address
}

output "settings" {
  description = "Settings of the command `chatflow` on this project: `chatflow setup`, `doctor`, `migrate`."
  value       = local.common
}

# What follows is for tests and for people who look at the wiring.

output "functions" {
  description = "Each function: what wakes it, who may call it and from where, and its settings."
  value = {
    for name, function in local.functions : name => {
      image       = function.image
      topic       = function.topic
      open        = function.open
      url         = local.urls[name]
      caller      = function.open ? null : google_service_account.caller[name].email
      member      = module.function[name].member
      invokers    = module.function[name].invokers
      public      = module.function[name].public
      ingress     = module.function[name].ingress
      environment = module.function[name].environment_values
    }
  }
}

output "topics" {
  description = "Each topic: what it pushes to, who publishes, where its dead letters go."
  value = {
    for topic, it in local.all_topics : topic => {
      function               = local.topics[topic]
      push                   = it.push
      dead_letters           = it.dead_letters
      publishers             = it.publishers
      dead_letter_publishers = it.dead_letter_publishers
      subscribers            = it.subscribers
    }
  }
}

output "pubsub_agent" {
  description = "Pub/Sub's own account in the project."
  value       = local.agents.pubsub
}

output "secrets" {
  description = "Who may read each secret."
  value       = { for name, it in module.secret : name => it.readers }
}

output "queue" {
  description = "Who may set alarms."
  value       = module.task_queue.enqueuers
}

output "sweep" {
  description = "What the schedule calls."
  value       = module.sweep.call
}

output "warehouse" {
  description = "Who may do what with rows."
  value = {
    dataset   = module.warehouse.dataset
    tables    = module.warehouse.tables
    views     = module.warehouse.views
    appenders = module.warehouse.appenders
    editors   = module.warehouse.editors
  }
}

output "document_store" {
  description = "The database, its indexes, and the fields by which documents expire."
  value = {
    database = module.document_store.database
    indexes  = module.document_store.indexes
    expiring = module.document_store.expiring
  }
}

output "edge" {
  description = "What is open and what is not; null without a domain."
  value = var.edge == null ? null : {
    open_paths = module.edge[0].open_paths
    signed_in  = module.edge[0].signed_in
    admins     = module.edge[0].admins
  }
}

output "alerts" {
  description = "Titles of the alerts."
  value       = module.observability.alerts
}

output "protection" {
  description = "What stands between the system and its destruction."
  value = {
    services       = { for name, function in module.function : name => function.deletion_protection }
    document_store = module.document_store.protection
    tables         = module.warehouse.deletion_protection
    dataset_keeps  = !module.warehouse.contents_go_with_dataset
  }
}

output "instances" {
  description = "Instances of each function, at least and at most."
  value       = { for name, function in module.function : name => function.instances }
}

output "encrypted_with" {
  description = "The key of Cloud KMS on each part that keeps something; empty where Google's are used."
  value = [
    for key in concat(
      module.document_store.encryption_keys,
      module.warehouse.encryption_keys,
      flatten([for it in local.all_topics : it.encryption_keys]),
      flatten([for it in module.secret : it.encryption_keys]),
      [for it in module.function : it.encryption_key],
    ) : key if var.kms_key != null
  ]
}
