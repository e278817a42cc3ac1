variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Where everything runs. It cannot be changed later."
  type        = string
  default     = "asia-east1"
}

variable "images" {
  description = "The container image of each function, by digest; `infra/cloudbuild.yaml` writes them."
  type        = map(string)
}

variable "admins" {
  description = "Who may call the API, as IAM members: `user:mei@example.com`."
  type        = list(string)
}

variable "secrets" {
  description = "Secrets that flows and connections name, each with the functions that may read it."
  type        = map(set(string))
  default     = {}
}

variable "public_webhooks" {
  description = "Whether everybody may call webhooks; the senders' signatures are checked all the same."
  type        = bool
  default     = true
}

variable "notification_channels" {
  description = "Ids of the channels that alerts go to."
  type        = list(string)
  default     = []
}
