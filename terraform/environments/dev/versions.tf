terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.30, < 7"
    }
  }

  # `terraform init -backend-config=backend.hcl`; `terraform/bootstrap` prints the bucket's name.
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region

  # Quota of API calls counts for the project, whoever calls.
  user_project_override = true
  billing_project       = var.project
}
