package classes
import ("testing";"time")
func FuzzSlow(f *testing.F){
 seeds(f)
 f.Fuzz(func(t *testing.T, s string){
  if len(s)>20000 {return}
  st:=time.Now()
  src:=newSource("x",[]byte(s))
  if src.badCharacter()!=nil {return}
  _,ps:=readYAML(src)
  d1:=time.Since(st)
  _,e:=Parse("x",[]byte(s))
  d2:=time.Since(st)
  if d2>1000*time.Millisecond { n:=0; if p,ok:=e.(Problems);ok{n=len(p)}; t.Fatalf("slow %v %v %d %d %d",d1,d2,len(s),len(ps),n)}
 })
}
