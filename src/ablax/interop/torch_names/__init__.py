"""What torchvision and timm call our layers: one function a family, from path to module name."""
