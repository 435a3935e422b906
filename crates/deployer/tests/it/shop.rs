//! A small shop: two services with images, one of configuration only.

use deployer::render::{RenderPlan, RenderedTree, plan};
use deployer::{DeployRequest, DeployService, ImagePin, NotDeployed, Plan, PlanDetail};
use lock_model::ErrorClass;

pub(crate) const CART: &str = "\
# The cart.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
spec:
  template:
    spec:
      containers:
      - name: cart
        image: registry.example/shop/cart:latest   # whatever
---
apiVersion: v1
kind: Service
metadata: { name: cart }
spec: { ports: [ { port: 80 } ] }
";

pub(crate) const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop-staging }
spec:
  template:
    spec:
      containers: [{ name: web, image: registry.example/shop/web }]
";

pub(crate) const DASHBOARD: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: { name: dashboard }
data: { panel: '1' }
";

pub(crate) fn pin(name: &str, digit: &str) -> ImagePin {
    ImagePin::new(
        format!("registry.example/shop/{name}").try_into().unwrap(),
        format!("sha256:{}", digit.repeat(64)).try_into().unwrap(),
    )
    .with_tag(format!("main-{}", digit.repeat(7)).try_into().unwrap())
}

pub(crate) fn service(name: &str, image: Option<ImagePin>, files: &[(&str, &str)]) -> DeployService {
    let mut service = DeployService::new(name.try_into().unwrap());
    service.image = image;
    service.files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    service
}

pub(crate) fn request(services: Vec<DeployService>) -> DeployRequest {
    let mut request = DeployRequest::new(
        "staging".try_into().unwrap(),
        "shop-staging",
        format!("sha256:{}", "a".repeat(64)).try_into().unwrap(),
        format!("sha256:{}", "b".repeat(64)).try_into().unwrap(),
        "c".repeat(40).try_into().unwrap(),
    );
    request.services = services;
    request.not_deployed = vec![NotDeployed { name: "reports".try_into().unwrap(), reason: "not ready".to_owned() }];
    request
}

pub(crate) fn shop() -> DeployRequest {
    request(vec![
        service("cart", Some(pin("cart", "1")), &[("cart.yaml", CART), ("README.md", "# cart\n")]),
        service("dashboard", None, &[("board.yml", DASHBOARD)]),
        service("web", Some(pin("web", "2")), &[("deploy/web.yaml", WEB)]),
    ])
}

/// A request with one more file in the cart's folder.
pub(crate) fn with_file(path: &str, text: &str) -> DeployRequest {
    let mut request = shop();
    request.services[0].files.push((path.to_owned(), text.as_bytes().to_vec()));
    request
}

pub(crate) fn planned(request: &DeployRequest) -> Plan {
    plan(request, None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The part of a plan that belongs to the target.
pub(crate) fn rendered(plan: &Plan) -> &RenderPlan {
    let PlanDetail::Render(rendered) = &plan.detail else { panic!("rendered") };
    rendered
}

pub(crate) fn tree(request: &DeployRequest) -> RenderedTree {
    rendered(&planned(request)).tree.clone()
}

pub(crate) fn refused(request: &DeployRequest) -> String {
    let problems = plan(request, None).unwrap_err();
    let lines: Vec<String> = problems.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!((problems.to_string(), problems.class()), (lines.join("\n"), ErrorClass::Invalid));
    problems.to_string()
}

pub(crate) fn text<'a>(tree: &'a RenderedTree, path: &str) -> &'a str {
    let bytes = tree.files.get(path).unwrap_or_else(|| panic!("{path} is among {:?}", tree.files.keys()));
    std::str::from_utf8(bytes).unwrap()
}
