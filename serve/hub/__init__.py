"""Publishing to the Hugging Face Hub: model card and upload."""
